/** `octetjs/vision`: pictures into networks, and what detectors and segmenters find back into pictures. */
export { nonMaxSuppression } from './vision/boxes.ts';
export type { NonMaxSuppressionOptions } from './vision/boxes.ts';
export { argMax, mapToPicture } from './vision/maps.ts';
export type { FeatureMap, MapToPictureOptions } from './vision/maps.ts';
export { rotatedBoxes } from './vision/rotated-boxes.ts';
export type { RotatedBox, RotatedBoxesOptions } from './vision/rotated-boxes.ts';
export { letterbox, placementOf, pointsToPicture } from './vision/placement.ts';
export type { Letterboxed, LetterboxOptions, Placement, Region } from './vision/placement.ts';
