/**
 * How does what we found read for somebody who was not at the terminal?
 *
 * One HTML page without script or network. Invariant: whatever comes from a database is escaped, for anybody who may create a table there chooses its name.
 */
export { healthPage } from "./health-page.ts";
export { reindexText, standingText } from "./health-text.ts";
