/**
 * Resolves in a task of its own, so that timers, messages and clicks had their turn before: promises alone go ahead of them all. A
 * message, since browsers delay nested timeouts by 4 ms.
 */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
