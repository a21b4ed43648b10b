import { type ChangedRow, type ChangeEvent, ConfigurationError } from '@cachekit/core';
import { assertEventType } from './event.ts';
import { sameJson } from './same-json.ts';

/**
 * Which changes a rule looks at.
 *
 * A row that moves to another tenant is a `delete` for the tenant it leaves and an `insert` for the one it enters;
 * `left` and `entered` match these two only.
 */
export type RuleOperation = ChangeEvent['operation'] | 'entered' | 'left';

/** A further condition of a rule; `old` and `new` are there as the operation has them. */
export type ChangeCondition = (change: ChangeEvent) => boolean;

/** A change as a rule's data function gets it: absent rows are empty objects, so columns are read without `?.`. */
export interface RuleChange<Row extends ChangedRow = ChangedRow> extends ChangeEvent {
  readonly old: Row;
  readonly new: Row;
}

/** From one kind of change to the data of one type of event. */
export interface EventRule<Data = unknown> {
  readonly table: string;
  readonly operations: readonly RuleOperation[];
  readonly when: ChangeCondition;
  /** The data of the event that the change becomes. */
  readonly data: (change: RuleChange) => Data;
}

/** The types of events and the rules that make them. */
export type EventRules = Readonly<Record<string, EventRule | readonly EventRule[]>>;

/** What `defineEvents` gives: the rules, ready for `publishStage(hub, events.derive)`. */
export interface EventDefinitions<Rules extends EventRules> {
  readonly types: readonly (keyof Rules & string)[];
  readonly rules: Rules;
  /** The events of one change, in the order of the definitions. */
  readonly derive: (change: ChangeEvent) => DerivedEvent[];
}

/** An event that a rule made of a change; it belongs to the tenant of the change. */
export interface DerivedEvent {
  readonly type: string;
  readonly key: ChangedRow;
  readonly data: unknown;
}

/** From event type to the type of its data, for `createRealtimeClient<EventsOf<typeof events>>`. */
export type EventsOf<Definitions> =
  Definitions extends EventDefinitions<infer Rules>
    ? { [Type in keyof Rules & string]: DataOf<Rules[Type]> }
    : never;

type DataOf<Rule> =
  Rule extends EventRule<infer Data> ? Data : Rule extends readonly EventRule<infer Data>[] ? Data : never;

/**
 * A rule: a change of `table` by one of `operations`, under `when`, becomes an event with what `data` returns.
 *
 * @example
 * on('calls', 'update', changed('status'), ({ key, old, new: row }) => ({ id: key.id, from: old.status, to: row.status }));
 */
export function on<Row extends ChangedRow, Data>(
  table: string,
  operations: RuleOperation | readonly RuleOperation[],
  data: (change: RuleChange<Row>) => Data,
): EventRule<Data>;
export function on<Row extends ChangedRow, Data>(
  table: string,
  operations: RuleOperation | readonly RuleOperation[],
  when: ChangeCondition,
  data: (change: RuleChange<Row>) => Data,
): EventRule<Data>;
export function on(
  table: string,
  operations: RuleOperation | readonly RuleOperation[],
  whenOrData: ChangeCondition | EventRule['data'],
  data?: EventRule['data'],
): EventRule {
  const list: readonly RuleOperation[] = typeof operations === 'string' ? [operations] : operations;
  const unknown = list.find((operation) => !ruleOperations.includes(operation));
  if (typeof table !== 'string' || table === '' || list.length === 0 || unknown !== undefined) {
    throw new ConfigurationError(
      `on(${JSON.stringify(table)}, ${JSON.stringify(operations)}): give a table and one or more of ${ruleOperations.join(', ')}`,
    );
  }
  if (typeof (data ?? whenOrData) !== 'function') {
    throw new ConfigurationError(`on("${table}"): the last argument is the function that gives the data`);
  }
  return {
    table,
    operations: list,
    when: data ? (whenOrData as ChangeCondition) : always,
    data: data ?? (whenOrData as EventRule['data']),
  };
}

const ruleOperations: readonly RuleOperation[] = ['insert', 'update', 'delete', 'refresh', 'entered', 'left'];
const always: ChangeCondition = () => true;

/**
 * Holds when one of the columns has another value than before.
 *
 * Values are compared as JSON, deeply: `{"a":1,"b":2}` and `{"b":2,"a":1}` are the same. An insert or a delete
 * changes every column it has a value other than `null` for. A column that the capture did not record in both rows
 * has not changed.
 */
export function changed(...columns: readonly [string, ...string[]]): ChangeCondition {
  return (change) => columns.some((column) => columnChanged(change, column));
}

/** Holds when the column has become `value` and was something else before; an insert with that value counts. */
export function became(column: string, value: unknown): ChangeCondition {
  return (change) => columnChanged(change, column) && sameJson(change.new?.[column], value);
}

function columnChanged({ old, new: row }: ChangeEvent, column: string): boolean {
  if (old && row) return column in old && column in row && !sameJson(old[column], row[column]);
  return ((row ?? old)?.[column] ?? null) !== null;
}

/**
 * Declares the events of an application: their types, and from which changes each comes.
 *
 * The types of the data travel to the client through {@link EventsOf}.
 *
 * @throws ConfigurationError `INVALID_CONFIGURATION` if a type cannot be one or a rule was not made by `on`.
 * @example
 * const events = defineEvents({
 *   'call.created': on('calls', 'insert', ({ key, new: call }) => ({ id: key.id, device: call.device_id })),
 *   'call.status-changed': on('calls', 'update', changed('status'), ({ key, old, new: call }) => ({
 *     id: key.id, from: old.status, to: call.status,
 *   })),
 *   'view.refreshed': on('mv_totals', 'refresh', ({ table, key }) => ({ view: table, key })),
 * });
 * const stage = publishStage(hub, events.derive);
 */
export function defineEvents<const Rules extends EventRules>(rules: Rules): EventDefinitions<Rules> {
  const byTable = new Map<string, { type: string; rule: EventRule }[]>();
  for (const [type, ofType] of Object.entries(rules)) {
    try {
      assertEventType(type);
    } catch (error) {
      throw new ConfigurationError((error as Error).message);
    }
    for (const rule of Array.isArray(ofType) ? (ofType as readonly EventRule[]) : [ofType as EventRule]) {
      if (typeof rule?.data !== 'function' || !Array.isArray(rule.operations)) {
        throw new ConfigurationError(`defineEvents: "${type}" is no rule; make it with on(...)`);
      }
      const ofTable = byTable.get(rule.table);
      if (ofTable) ofTable.push({ type, rule });
      else byTable.set(rule.table, [{ type, rule }]);
    }
  }
  return {
    types: Object.keys(rules),
    rules,
    derive(change) {
      const derived: DerivedEvent[] = [];
      for (const { type, rule } of byTable.get(change.table) ?? []) {
        if (!matches(rule, change)) continue;
        derived.push({ type, key: change.key, data: rule.data(withRows(change)) });
      }
      return derived;
    },
  };
}

function matches(rule: EventRule, change: ChangeEvent): boolean {
  const { operation, moved } = change;
  const named =
    rule.operations.includes(operation) ||
    (moved === true && rule.operations.includes(operation === 'insert' ? 'entered' : 'left'));
  return named && rule.when(change);
}

const noRow: ChangedRow = Object.freeze({});

function withRows(change: ChangeEvent): RuleChange {
  return { ...change, old: change.old ?? noRow, new: change.new ?? noRow };
}
