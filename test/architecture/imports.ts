import { isName, isNode, nodesOf, type SyntaxNode } from './syntax.ts';

/** Every module that a source names: imported, re-exported, required, or in `import('x').Type`. */
export function importsOf(file: string, source: string): string[] {
  return nodesOf(file, source).flatMap((node) => {
    const named = namedModule(node);
    return isText(named) ? [named.value] : [];
  });
}

const isText = (value: unknown): value is SyntaxNode & { value: string } =>
  isNode(value) && value.type === 'Literal' && typeof value.value === 'string';

function namedModule(node: SyntaxNode): unknown {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return node.source;
    case 'TSExternalModuleReference':
      return node.expression;
    case 'CallExpression':
      return isName(node.callee, 'require') ? (node.arguments as unknown[])[0] : undefined;
    default:
      return undefined;
  }
}

/** The package that a bare specifier names; undefined for a relative path and for Node's own. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return undefined;
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}
