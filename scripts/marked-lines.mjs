/**
 * The marker stands at the end of the line that is left out, which may be one of Lua, and says what that
 * line protects.
 */
const MARKER = /\S.*(?:\/\/|--) guard: (\S.*)$/;

/** The lines with a marker: their number, from 1, their text and their reason. */
export function markedLines(code) {
  return code.split('\n').flatMap((text, i) => {
    const why = MARKER.exec(text)?.[1];
    return why === undefined ? [] : [{ line: i + 1, text, why }];
  });
}

/** The code with this line empty, so that all others keep their numbers. */
export function withoutLine(code, line) {
  return code
    .split('\n')
    .map((text, i) => (i === line - 1 ? '' : text))
    .join('\n');
}
