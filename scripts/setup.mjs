// Installs the locked dependencies where they are missing or older than the lock file. Plain JavaScript and Node's own
// modules only: it runs before anything is installed.
import { execSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';

const installed = 'node_modules/.package-lock.json';
const fresh = existsSync(installed) && statSync(installed).mtimeMs >= statSync('package-lock.json').mtimeMs;

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Octet needs Node 20.19 or newer; this is ${process.version}.`);
  process.exit(2);
}
// Not npm ci: it refuses a lock file that lacks optional binaries of other platforms.
if (!fresh) execSync('npm install --no-save --no-audit --no-fund', { stdio: 'inherit' });
