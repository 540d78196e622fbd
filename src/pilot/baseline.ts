import type { Block } from "../domain/index.ts";
import type { Session } from "../postgres/index.ts";
import type { Store } from "../store/index.ts";
import { sampleLoad } from "./load.ts";
import { observeBlocks } from "./observe.ts";
import { saveBlock } from "./record.ts";
import { ownRoles, type PilotContext } from "./target.ts";

/** Observes and stores the blocks that the time after a build will be compared with. */
export const observeBaseline = async (
  session: Session,
  store: Store,
  context: PilotContext,
  options: { readonly baselineMs: number; readonly blockMs: number },
): Promise<readonly Block[]> => {
  context.emit({
    kind: "step",
    text: `observing the workload before the change (${String(Math.round(options.baselineMs / 1000))} s)`,
  });
  const blocks: Block[] = [];
  const wanted = Math.max(1, Math.round(options.baselineMs / options.blockMs));
  for await (const { block, snapshot } of observeBlocks({
    ...context,
    session,
    blockMs: options.blockMs,
    excludeRoles: ownRoles(context),
  })) {
    await saveBlock(store, block, snapshot);
    await sampleLoad(session, store, context);
    blocks.push(block);
    context.emit({
      kind: "progress",
      share: blocks.length / wanted,
      text: `block ${String(blocks.length)} of ${String(wanted)}`,
    });
    if (blocks.length >= wanted) break;
  }
  return blocks;
};
