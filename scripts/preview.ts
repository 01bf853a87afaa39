/** Serves the built demo, and opens it where there is a browser to open it in. */
import { preview } from 'vite';

const hasScreen =
  process.platform !== 'linux' || Boolean(process.env.DISPLAY) || Boolean(process.env.WAYLAND_DISPLAY);

const server = await preview({ preview: { open: hasScreen } });
server.printUrls();
server.bindCLIShortcuts({ print: true });
