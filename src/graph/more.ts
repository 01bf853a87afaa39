/** What few files need, as one module that is fetched where one does: rows of rare operators, passes over rare forms. */
export { hostOperators } from './operators/host-registry.ts';
export { morePasses } from './passes/more-passes.ts';
