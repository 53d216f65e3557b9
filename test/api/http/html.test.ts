import { expect, it } from 'vitest';
import { html, prose } from '../../../src/api/http/html.js';

it('escapes whatever is put into a page', () => {
  const evil = `<script>"&'`;
  expect(html`<p title="${evil}">${evil}</p>`.text).toBe(
    '<p title="&lt;script&gt;&quot;&amp;&#39;">&lt;script&gt;&quot;&amp;&#39;</p>',
  );
});

it('keeps pieces that are HTML already', () => {
  expect(html`<ul>${[1, 2].map((n) => html`<li>${n}</li>`)}</ul>`.text).toBe('<ul><li>1</li><li>2</li></ul>');
});

it('marks code and emphasis in prose, and escapes it', () => {
  expect(prose('a `<b>` **c**').text).toBe('a <code>&lt;b&gt;</code> <strong>c</strong>');
});
