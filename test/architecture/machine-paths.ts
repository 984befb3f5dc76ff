/** Where operating systems keep the files of a person, or of the one who built this. */
const HOMES = [
  /(?<![\w.])\/home\/[a-z_][\w.-]*\//,
  /(?<![\w.])\/Users\/[A-Za-z][\w.-]*\//,
  /(?<![\w.])\/root\//,
  /\b[A-Za-z]:\\{1,2}Users\\/,
];

/** The lines of a text that hold a path of one machine only; `root` is where the project lies. */
export function machinePaths(text: string, root: string): string[] {
  const project = root.replace(/[\\/]$/, '');
  // A project at the top of a file system has a path too short to say anything.
  const telling = project.split(/[\\/]/).length > 2;
  return text
    .split('\n')
    .filter((line) => (telling && line.includes(project)) || HOMES.some((home) => home.test(line)));
}
