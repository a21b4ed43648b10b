import { run } from '../build/run.ts';

// `default` and `module.exports` are what Node adds to a CommonJS module, not what the package exports.
const program = `
const [specifier, host] = process.argv.slice(1);
const own = (module) => Object.keys(module).filter((name) => name !== 'default' && name !== 'module.exports').sort().join(' ');
const imported = own(await import(specifier));
const required = own(process.getBuiltinModule('module').createRequire(host + '/')(specifier));
if (imported !== required) throw new Error('import gives ' + imported + '; require gives ' + required);
if (imported === '') throw new Error('exports nothing');
`;

/** Throws unless ESM and CommonJS get the same names from an entry, and any at all. */
export async function assertSameExports(host: string, specifier: string): Promise<void> {
  const { code, output } = await run(
    process.execPath,
    ['--input-type=module', '--eval', program, specifier, host],
    {
      cwd: host,
    },
  );
  if (code !== 0) throw new Error(/^Error: .*$/m.exec(output)?.[0] ?? output);
}
