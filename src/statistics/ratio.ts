/**
 * The influence of each block on ln(Σy / Σx), by linearisation (delta method): (yᵢ − R xᵢ) / (R x̄), R = Σy / Σx
 * (Cochran 1977, Sampling Techniques, 3rd ed., eq. 6.9). Their mean is zero; their mean square divided by the number of
 * independent blocks is the variance of the logarithm.
 * @returns null when either sum is not positive
 */
export const ratioInfluence = (
  blocks: readonly { readonly y: number; readonly x: number }[],
): { readonly ratio: number; readonly influence: readonly number[] } | null => {
  const y = blocks.reduce((total, block) => total + block.y, 0);
  const x = blocks.reduce((total, block) => total + block.x, 0);
  if (!(y > 0 && x > 0)) return null;
  const ratio = y / x;
  const scale = y / blocks.length;
  return { ratio, influence: blocks.map((block) => (block.y - ratio * block.x) / scale) };
};
