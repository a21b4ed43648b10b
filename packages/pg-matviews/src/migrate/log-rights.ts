import { quoteLiteral } from '@cachekit/core/postgres';

/** Gives whoever has a right on the log of all views the same on the logs of these rollups. */
export function copyLogRightsSql(rollups: readonly string[]): string {
  const names = rollups.map(quoteLiteral).join(', ');
  return `DO $do$ DECLARE
  g record;
BEGIN
  FOR g IN SELECT e.privilege_type, CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END AS grantee,
      v.rollup#>>'{program,log}' AS log
    FROM cachekit.view v, pg_class c, aclexplode(c.relacl) e
    WHERE c.oid = 'cachekit.mark'::regclass AND e.grantee <> c.relowner AND v.rollup IS NOT NULL AND v.name IN (${names})
  LOOP
    EXECUTE format('GRANT %s ON %s TO %s', g.privilege_type, g.log, g.grantee);
  END LOOP;
END $do$`;
}
