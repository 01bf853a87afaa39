import { useEffect, useRef } from 'preact/hooks';
import { engine } from '../engine/client.ts';
import * as Comlink from 'comlink';
import { choose, messageOf, notice } from '../state.ts';

/**
 * Live camera. A frame is taken only when the one before has been prepared, so frames are skipped rather than queued;
 * choose() skips likewise when the network is slower than that.
 */
export function Camera({ onStop }: { readonly onStop: () => void }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current!;
    let stream: MediaStream | null = null;
    let stopped = false;

    async function frames(): Promise<void> {
      if (!navigator.mediaDevices?.getUserMedia)
        throw new Error('this browser gives pages no camera (https is needed)');
      const opened = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 320 } });
      if (stopped) {
        for (const track of opened.getTracks()) track.stop();
        return;
      }
      stream = opened;
      element.srcObject = stream;
      await element.play();
      while (!stopped) {
        await new Promise((resolve) => element.requestVideoFrameCallback(resolve));
        // The test may have changed while the promise was pending.
        if (stopped as boolean) return;
        const side = Math.min(element.videoWidth, element.videoHeight);
        const frame = await createImageBitmap(
          element,
          (element.videoWidth - side) / 2,
          (element.videoHeight - side) / 2,
          side,
          side,
        );
        const pixels = await engine.prepare(Comlink.transfer(frame, [frame]));
        if (!stopped) choose({ pixels, title: 'Camera', testIndex: null, trueClass: null });
      }
    }

    frames().catch((error: unknown) => {
      if (stopped) return;
      notice.value = `The camera could not be used: ${messageOf(error)}`;
      onStop();
    });
    return () => {
      stopped = true;
      for (const track of stream?.getTracks() ?? []) track.stop();
    };
  }, []);
  return <video ref={video} class="camera" muted playsInline aria-label="Camera picture" />;
}
