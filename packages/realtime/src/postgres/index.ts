export { type ChangeSourceOptions, changeSource } from './change-source.ts';
export { type InstallCaptureOptions, installCapture, uninstallCapture } from './install-capture.ts';
export type { CapturedTable } from './table-shape.ts';
