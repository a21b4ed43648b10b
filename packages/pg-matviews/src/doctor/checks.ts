import { mistakenQueries } from './definitions.ts';
import type { Check } from './examination.ts';
import { functionsWithoutPath, functionsWithTimeout } from './functions.ts';
import { invalidIndexes } from './invalid-index.ts';
import { deafTables, silentSessions } from './marking-triggers.ts';
import { slowGroups } from './missing-index.ts';
import { neglectedOutboxes } from './outboxes.ts';
import { missingRights } from './rights.ts';
import { openViews, partialRefreshes } from './row-security.ts';
import { bloatedRelations, inactiveSlots, longTransactions, uncleanedRelations } from './server.ts';
import { viewsWithoutUniqueIndex } from './unique-index.ts';
import { unpopulatedViews } from './unpopulated.ts';
import { costlyTriggers } from './user-triggers.ts';
import { neglectedViews, orphanedMarks } from './waiting-marks.ts';

/** Everything the doctor looks at in the database itself. */
export const checks: readonly Check[] = [
  unpopulatedViews,
  viewsWithoutUniqueIndex,
  invalidIndexes,
  slowGroups,
  deafTables,
  silentSessions,
  neglectedViews,
  orphanedMarks,
  neglectedOutboxes,
  costlyTriggers,
  functionsWithTimeout,
  functionsWithoutPath,
  missingRights,
  partialRefreshes,
  openViews,
  longTransactions,
  inactiveSlots,
  bloatedRelations,
  uncleanedRelations,
  mistakenQueries,
];
