import type { BaseType, Catalog, DomainType, Routine } from "../domain/index.ts";
import { quoteIdentifier, quoteLiteral, quoteName } from "../postgres/index.ts";
import { NO_BODY, type Step } from "./attempt.ts";

/** Where the shadow keeps what is its own; `readCatalog` passes it over. */
export const OWN_SCHEMA = "indexpilot";

/** Schemas, extensions, and the sequences that statements may name. */
export const foundationSteps = (catalog: Catalog): Step[] => [
  { object: "the shadow's own schema", sql: `create schema ${OWN_SCHEMA}` },
  ...catalog.schemas.map((name) => ({
    object: `schema ${name}`,
    sql: `create schema if not exists ${quoteIdentifier(name)}`,
  })),
  ...catalog.extensions.map(({ name, schema }) => ({
    object: `extension ${name}`,
    sql:
      `create extension if not exists ${quoteIdentifier(name)}` +
      (catalog.schemas.includes(schema) ? ` schema ${quoteIdentifier(schema)}` : "") +
      " cascade",
  })),
  ...(catalog.sequences ?? []).map((sequence) => ({
    object: `sequence ${sequence.schema}.${sequence.name}`,
    sql: `create sequence ${quoteName(sequence)}`,
  })),
];

/** Collations; one that this machine lacks sorts by code points instead. */
export const collationSteps = (catalog: Catalog): Step[] =>
  (catalog.objects ?? [])
    .filter((one) => one.kind === "collation")
    .map(({ name, definition }) => ({
      object: `collation ${name}`,
      sql: definition,
      // Not "C" for the planner, if possible: LIKE 'a%' on a plain index is as impossible as with any language's order.
      otherwise: [`create collation ${name} (locale = 'C.UTF-8')`, `create collation ${name} from pg_catalog."C"`],
    }));

const domainStep = (domain: DomainType): Step => {
  const create =
    `create domain ${quoteName(domain)} as ${domain.baseType}` +
    ((domain.collation ?? null) === null ? "" : ` collate ${domain.collation ?? ""}`) +
    (domain.notNull ? " not null" : "");
  const checks = domain.checks ?? [];
  const clauses = checks.map(({ name, definition }) => ` constraint ${quoteIdentifier(name)} ${definition}`);
  return {
    object: `type ${domain.schema}.${domain.name}`,
    sql: create + clauses.join(""),
    // That a domain has any constraint matters to the planner: it cannot see through its casts then.
    ...(checks.length > 0 ? { otherwise: [`${create} check (value is null or value is not null)`] } : {}),
  };
};

/** A type with text for values: a table with such a column plans, an operator of the type does not. */
const standInStep = (type: BaseType): Step => {
  const name = quoteName(type);
  const [input, output] = ["in", "out"].map(
    (which) => `${OWN_SCHEMA}.${quoteIdentifier(`${which} ${type.schema}.${type.name}`)}`,
  );
  const variable = type.length < 0;
  return {
    object: `type ${type.schema}.${type.name}`,
    sql: `
      create type ${name};
      create function ${input ?? ""}(cstring) returns ${name} language internal immutable strict as '${variable ? "textin" : "shell_in"}';
      create function ${output ?? ""}(${name}) returns cstring language internal immutable strict as '${variable ? "textout" : "shell_out"}';
      create type ${name} (input = ${input ?? ""}, output = ${output ?? ""}, alignment = ${type.alignment}, storage = ${type.storage},
        internallength = ${variable ? "variable" : String(type.length)}${type.byValue ? ", passedbyvalue" : ""})`,
  };
};

export const standInSteps = (catalog: Catalog): Step[] => (catalog.baseTypes ?? []).map(standInStep);

const inPlpgsql = ({ header }: Routine, body: string): string =>
  `${header.replace(/^ LANGUAGE .*$/m, " LANGUAGE plpgsql")}\nas ${quoteLiteral(`begin ${body}; end`)}`;

/** Types, functions, operators and the like, in whatever order they can be made. Functions have no bodies yet: nothing of the target's runs. */
export const objectSteps = (catalog: Catalog): Step[] => [
  ...catalog.enums.map((type) => ({
    object: `type ${type.schema}.${type.name}`,
    sql: `create type ${quoteName(type)} as enum (${type.labels.map(quoteLiteral).join(", ")})`,
  })),
  ...catalog.domains.map(domainStep),
  ...(catalog.routines ?? []).map((routine) => ({
    object: `function ${routine.name}`,
    sql: inPlpgsql(routine, "return null"),
  })),
  ...(catalog.objects ?? [])
    .filter((one) => one.kind !== "collation")
    .map(({ kind, name, definition }) => ({ object: `${kind} ${name}`, sql: definition })),
];

/**
 * The functions' own bodies. Planning runs those that are immutable or stable on constants, and looks into simple ones in SQL. One whose body is
 * missing refuses: a made-up value would be a wrong plan without a word.
 */
export const bodySteps = (catalog: Catalog): Step[] =>
  (catalog.routines ?? []).map((routine) => {
    const refusal = inPlpgsql(
      routine,
      `raise exception using errcode = ${quoteLiteral(NO_BODY)}, message = ${quoteLiteral(`function ${routine.name} cannot run in the shadow`)}`,
    );
    const object = `function ${routine.name}`;
    return routine.body === null
      ? { object, sql: refusal }
      : { object, sql: routine.header + routine.body, otherwise: [refusal] };
  });
