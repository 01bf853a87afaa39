/** Passes over forms that few files have, which are fetched only where one does. */
import type { Graph } from '../graph.ts';
import type { Problems } from '../problems.ts';
import { signalsToImages } from './signals-to-images.ts';
import { stridedViews } from './strided-views.ts';
import { volumesToImages } from './volumes-to-images.ts';

export interface MorePasses {
  /** Windows over signals and volumes as windows over images. Needs no shapes. */
  readonly windows: (graph: Graph) => Graph;
  /** Views by computed indices as moves. Expects settled shapes. */
  readonly views: (graph: Graph, settle: (graph: Graph, problems: Problems) => Graph) => Graph;
}

export const morePasses: MorePasses = {
  windows: (graph) => volumesToImages(signalsToImages(graph)),
  views: stridedViews,
};
