import { createRequire } from 'node:module';
import { PGlite } from '@electric-sql/pglite';
import type { Countries } from 'world-countries';
import { nowMs } from '../now.ts';

/** Required, since the package's types promise a default export that its code does not have. */
const countries = createRequire(import.meta.url)('world-countries') as Countries;

/** What the readers ask for: a country with its languages and neighbours, from three tables. */
export interface Country {
  readonly code: string;
  readonly name: string;
  readonly capital: string | null;
  readonly region: string;
  readonly areaKm2: number;
  readonly languages: readonly string[];
  readonly neighbours: readonly string[];
  readonly visitors: number;
  /** Raised by every update of the row. */
  readonly version: number;
}

const SCHEMA = `
  CREATE TABLE country (
    code      text PRIMARY KEY,
    name      text NOT NULL,
    capital   text,
    region    text NOT NULL,
    area_km2  float8 NOT NULL,
    visitors  int8 NOT NULL DEFAULT 0,
    version   int4 NOT NULL DEFAULT 1
  );
  CREATE TABLE spoken (
    code      text NOT NULL REFERENCES country,
    language  text NOT NULL,
    PRIMARY KEY (code, language)
  );
  CREATE TABLE border (
    code       text NOT NULL REFERENCES country,
    neighbour  text NOT NULL REFERENCES country,
    PRIMARY KEY (code, neighbour)
  );
`;

const SELECT_COUNTRY = `
  SELECT code, name, capital, region, area_km2 AS "areaKm2", visitors, version,
    ARRAY(SELECT language FROM spoken WHERE spoken.code = country.code ORDER BY language)
      AS languages,
    ARRAY(SELECT other.name FROM border JOIN country AS other ON other.code = border.neighbour
      WHERE border.code = country.code ORDER BY other.name) AS neighbours
  FROM country WHERE code = $1
`;

const ADD_VISITORS_TO_REGION = `
  UPDATE country SET visitors = visitors + $2, version = version + 1
  WHERE region = $1 RETURNING code, version
`;

const ADD_VISITORS = `
  UPDATE country SET visitors = visitors + $2, version = version + 1
  WHERE code = $1 RETURNING version
`;

/** Postgres inside this process, filled with the countries of the world. One query at a time. */
export class Database implements AsyncDisposable {
  readonly codes: readonly string[] = countries.map((country) => country.cca2);
  readonly regions: readonly string[] = [...new Set(countries.map((country) => country.region))];
  readonly #postgres: PGlite;
  #selects = 0;
  #isStopped = false;

  private constructor(postgres: PGlite) {
    this.#postgres = postgres;
  }

  static async open(): Promise<Database> {
    const database = new Database(await PGlite.create());
    await database.#fill();
    return database;
  }

  /** Queries that were run for loaders so far. */
  get selects(): number {
    return this.#selects;
  }

  /** Of the countries in a region. */
  codesOf(region: string): string[] {
    return countries.filter((country) => country.region === region).map(({ cca2 }) => cca2);
  }

  /** From now on it answers no reader, until {@link start}. */
  stop(): void {
    this.#isStopped = true;
  }

  start(): void {
    this.#isStopped = false;
  }

  /** Throws: if there is no such country, or the database is stopped. */
  async country(code: string): Promise<Country> {
    if (this.#isStopped) throw new Error('the database is stopped');
    this.#selects += 1;
    const { rows } = await this.#postgres.query<Country>(SELECT_COUNTRY, [code]);
    if (rows[0] === undefined) throw new Error(`there is no country ${code}`);
    return rows[0];
  }

  /** Answers the row's new version. */
  async addVisitors(code: string, count: number): Promise<number> {
    const { rows } = await this.#postgres.query<{ version: number }>(ADD_VISITORS, [code, count]);
    if (rows[0] === undefined) throw new Error(`there is no country ${code}`);
    return rows[0].version;
  }

  /** Answers the new versions of all its rows, by their codes. */
  async addVisitorsToRegion(region: string, count: number): Promise<Map<string, number>> {
    const { rows } = await this.#postgres.query<{ code: string; version: number }>(
      ADD_VISITORS_TO_REGION,
      [region, count],
    );
    return new Map(rows.map(({ code, version }) => [code, version]));
  }

  /** How long the readers' query takes here when nothing else is going on. */
  async measureQueryMs(): Promise<number> {
    // The first ones are slower: Postgres reads its catalogue, and V8 compiles.
    for (const code of this.codes) await this.#postgres.query(SELECT_COUNTRY, [code]);
    const beganAtMs = nowMs();
    for (const code of this.codes) await this.#postgres.query(SELECT_COUNTRY, [code]);
    return (nowMs() - beganAtMs) / this.codes.length;
  }

  async #fill(): Promise<void> {
    const codeOf = new Map(countries.map((country) => [country.cca3, country.cca2]));
    await this.#postgres.exec(SCHEMA);
    await this.#postgres.transaction(async (transaction) => {
      for (const { cca2, name, capital, region, area } of countries)
        await transaction.query(
          'INSERT INTO country (code, name, capital, region, area_km2) VALUES ($1, $2, $3, $4, $5)',
          [cca2, name.common, capital[0] ?? null, region, area],
        );
      for (const { cca2, languages, borders } of countries) {
        await transaction.query('INSERT INTO spoken SELECT $1, unnest($2::text[])', [
          cca2,
          [...new Set(Object.values(languages))],
        ]);
        await transaction.query('INSERT INTO border SELECT $1, unnest($2::text[])', [
          cca2,
          borders.map((border) => codeOf.get(border)),
        ]);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#postgres.close();
  }
}
