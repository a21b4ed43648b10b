/**
 * What happens when the store fails or does not answer in time.
 *
 * | value    | the check                                                                                     |
 * | -------- | --------------------------------------------------------------------------------------------- |
 * | `local`  | is counted in this process, which lets its share of the limit pass: `limit / instances`        |
 * | `open`   | is allowed                                                                                    |
 * | `closed` | is denied                                                                                     |
 * | `throw`  | rejects with `RateLimitStoreError`                                                            |
 */
export type OnUnavailable = 'local' | 'open' | 'closed' | 'throw';
