const maxTextLength = 500;
const maxQuoteLength = 120;
const hidden = '…';

/** Letters of any script with the marks of a sentence; a negative error code in front. No digits, no symbols. */
const word = /^(?!.*\.\p{L})[\p{L}\p{M}.,;:!?()"'“”‘’/，。！？、；：（）-]+$/u;
const errorCode = /^-\d{4}(?!\d)/;

/**
 * What of a provider's text can be shown and logged: at most 120 characters of plain words. Whatever else it holds may be
 * a number, a code or a template, and is left out.
 */
export function quotedText(text: string): string {
  const tokens = text.slice(0, maxTextLength).trim().split(/\s+/).filter(Boolean);
  const shown = tokens.map((token, i) => {
    if (word.test(token)) return token;
    return (i === 0 && errorCode.exec(token)?.[0]) || hidden;
  });
  const quoted = shown.filter((token, i) => token !== hidden || shown[i - 1] !== hidden).join(' ');
  return quoted.length > maxQuoteLength ? `${quoted.slice(0, maxQuoteLength - 1)}${hidden}` : quoted;
}

/** The same text without these words, whatever their case: a refusal may name the account it refuses. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const wordsOf = secrets.flatMap((secret) => secret.split(/\s+/)).filter((secret) => secret.length > 2);
  return wordsOf.reduce((shown, secret) => shown.replaceAll(new RegExp(escaped(secret), 'gi'), hidden), text);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
