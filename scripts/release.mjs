// Releases the three packages, which share one version: the steps of .github/workflows/release.yml.
//
//   node scripts/release.mjs select    prints mode=version, publish or none, and version=…
//   node scripts/release.mjs version   applies the changesets to all package.json files, the lock file and the changelog
//   node scripts/release.mjs publish   publishes the packages that npm does not have in this version
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const changesets = '@changesets/cli@3.0.3';
/** In the order in which they depend on each other. */
const folders = ['packages/client', 'packages/simulator', '.'];

const manifestOf = (folder) => JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
const run = (command, ...args) => execFileSync(command, args, { stdio: 'inherit' });
const isPublished = ({ name, version }) =>
  spawnSync('npm', ['view', `${name}@${version}`, 'version'], { encoding: 'utf8' }).stdout.trim() === version;

const steps = {
  select() {
    const pending = readdirSync('.changeset').filter((name) => name.endsWith('.md') && name !== 'README.md');
    const mode =
      pending.length > 0 ? 'version' : folders.map(manifestOf).every(isPublished) ? 'none' : 'publish';
    process.stdout.write(`mode=${mode}\nversion=${manifestOf('.').version}\n`);
  },

  // Changesets does not know the gateway, which is the workspace's root: it follows the client.
  version() {
    run('npx', '--yes', changesets, 'version');
    const { version } = manifestOf('packages/client');
    run('npm', 'pkg', 'set', `version=${version}`);
    for (const name of ['isms-otp-client', 'isms-2fa-simulator']) {
      run('npm', 'pkg', 'set', `dependencies.${name}=${version}`);
    }
    run('npm', 'install', '--package-lock-only', '--ignore-scripts');
    const date = new Date().toISOString().slice(0, 10);
    const changelog = readFileSync('CHANGELOG.md', 'utf8');
    const released = changelog.replace('## [Unreleased]', `## [Unreleased]\n\n## [${version}] - ${date}`);
    writeFileSync('CHANGELOG.md', released);
  },

  // npm accepts provenance only from the repository that package.json names.
  publish() {
    const repository = `git+https://github.com/${process.env.GITHUB_REPOSITORY}.git`;
    for (const folder of folders) {
      if (isPublished(manifestOf(folder))) continue;
      const directory = folder === '.' ? [] : [`repository.directory=${folder}`];
      execFileSync(
        'npm',
        ['pkg', 'set', 'repository.type=git', `repository.url=${repository}`, ...directory],
        {
          cwd: folder,
          stdio: 'inherit',
        },
      );
      execFileSync('npm', ['publish'], { cwd: folder, stdio: 'inherit' });
    }
  },
};

const step = steps[process.argv[2]];
if (!step) throw new Error('usage: node scripts/release.mjs select | version | publish');
step();
