import { expect, it } from 'vitest';
import { html, prose } from '../../../src/api/http/html.js';

it('html`` escapes its values', () => {
  const evil = `<script>"&'`;
  expect(html`<p title="${evil}">${evil}</p>`.text).toBe(
    '<p title="&lt;script&gt;&quot;&amp;&#39;">&lt;script&gt;&quot;&amp;&#39;</p>',
  );
});

it('html`` keeps values that are HTML', () => {
  expect(html`<ul>${[1, 2].map((n) => html`<li>${n}</li>`)}</ul>`.text).toBe('<ul><li>1</li><li>2</li></ul>');
});

it('prose() marks code and emphasis, and escapes the rest', () => {
  expect(prose('a `<b>` **c**').text).toBe('a <code>&lt;b&gt;</code> <strong>c</strong>');
});
