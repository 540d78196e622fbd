import type { Catalog, Policy, Table } from "../domain/index.ts";
import { quoteIdentifier, quoteLiteral, quoteName } from "../postgres/index.ts";
import type { Step } from "./attempt.ts";
import { OWN_SCHEMA } from "./objects.ts";

/**
 * Who plans: a role without any privilege of a superuser, for planning runs the target's functions. It sees all rows by itself, and takes on
 * each statement's role to see what that one does.
 */
export const PLANNER_ROLE = "indexpilot_planner";

/** The one superuser of the shadow; it can be nobody's role there. */
const ADMINISTRATOR = "postgres";

const known = (catalog: Catalog): Set<string> => new Set((catalog.roles ?? []).map((role) => role.name));

/** Which of the target's roles a statement can be planned as. */
export const plannableRoles = (catalog: Catalog): ReadonlyMap<string, Readonly<Record<string, string>>> =>
  new Map(
    (catalog.roles ?? []).filter((role) => role.name !== ADMINISTRATOR).map((role) => [role.name, role.settings]),
  );

/** Roles that cannot log in, and their memberships. */
export const roleSteps = (catalog: Catalog, password: string): Step[] => {
  const roles = (catalog.roles ?? []).filter((role) => role.name !== ADMINISTRATOR);
  return [
    {
      object: "the planner's role",
      sql: `create role ${PLANNER_ROLE} login bypassrls noinherit password ${quoteLiteral(password)}`,
    },
    ...roles.map((role) => ({
      object: `role ${role.name}`,
      sql: `create role ${quoteIdentifier(role.name)}${role.bypassesRowSecurity ? " bypassrls" : ""}; grant ${quoteIdentifier(role.name)} to ${PLANNER_ROLE}`,
    })),
    ...roles.flatMap((role) =>
      Object.entries(role.settings).map(([name, value]) => ({
        object: `setting ${name} of role ${role.name}`,
        sql: `alter role ${quoteIdentifier(role.name)} set ${quoteIdentifier(name)} = ${quoteLiteral(value)}`,
      })),
    ),
    ...roles.flatMap((role) =>
      role.memberOf
        // Nobody becomes the shadow's superuser.
        .filter((group) => group !== ADMINISTRATOR)
        .map((group) => ({
          object: `membership of ${role.name}`,
          sql: `grant ${quoteIdentifier(group)} to ${quoteIdentifier(role.name)}`,
        })),
    ),
  ];
};

const createPolicy = (table: Table, policy: Policy): string =>
  `create policy ${quoteIdentifier(policy.name)} on ${quoteName(table)} as ${policy.permissive ? "permissive" : "restrictive"} for ${policy.command}` +
  ` to ${policy.roles.length === 0 ? "public" : policy.roles.map(quoteIdentifier).join(", ")}` +
  (policy.using === null ? "" : ` using (${policy.using})`) +
  (policy.check === null ? "" : ` with check (${policy.check})`);

/** Row-level security, all of a table's or none: without one of its policies every row would seem to be denied. */
export const policySteps = (catalog: Catalog): Step[] =>
  catalog.tables.flatMap((table) => {
    const statements = (table.policies ?? []).map((policy) => createPolicy(table, policy));
    if (table.rowLevelSecurity) statements.push(`alter table ${quoteName(table)} enable row level security`);
    if (table.forcedRowLevelSecurity === true) {
      statements.push(`alter table ${quoteName(table)} force row level security`);
    }
    return statements.length === 0
      ? []
      : [{ object: `policies of ${table.schema}.${table.name}`, sql: statements.join("; ") }];
  });

/** Owners, whom policies do not bind and whose rights views use; everybody may read and write everything. */
export const ownerSteps = (catalog: Catalog): Step[] => {
  const roles = known(catalog);
  const schemas = catalog.schemas.map(quoteIdentifier).join(", ");
  return [
    ...[
      ...catalog.tables.map((one) => ["table", one] as const),
      ...catalog.views.map((one) => ["view", one] as const),
    ].flatMap(([kind, one]) =>
      one.owner === undefined || one.owner === ADMINISTRATOR || !roles.has(one.owner)
        ? []
        : [
            {
              object: `owner of ${one.schema}.${one.name}`,
              sql: `alter ${kind} ${quoteName(one)} owner to ${quoteIdentifier(one.owner)}`,
            },
          ],
    ),
    ...(catalog.schemas.length === 0
      ? []
      : [
          { object: "grants on schemas", sql: `grant all on schema ${schemas} to public` },
          { object: "grants on tables", sql: `grant all on all tables in schema ${schemas} to public` },
        ]),
    { object: "grants on the shadow's own schema", sql: `grant usage on schema ${OWN_SCHEMA} to ${PLANNER_ROLE}` },
  ];
};
