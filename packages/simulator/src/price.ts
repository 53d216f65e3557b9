/** Characters billed as one credit: 160 or 70, less the seven of "RM0.00 " that Malaysian law puts in front. */
const charactersPerCredit = { ascii: 153, unicode: 63 };

/** Printable ASCII that GSM 03.38 keeps in its extension table, where each takes two characters. */
const extended = /[\^{}\\[\]~|]/g;

/** Credits charged for a text with the code filled in, without the legal prefix: one for each part begun. */
export function priceOf(text: string, unicode: boolean): number {
  const doubled = unicode ? 0 : (text.match(extended)?.length ?? 0);
  return Math.ceil((text.length + doubled) / charactersPerCredit[unicode ? 'unicode' : 'ascii']);
}
