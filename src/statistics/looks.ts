/**
 * The share of `alpha` that the k-th look at the same data may spend: alpha / (k (k + 1)). The shares of all looks, however
 * many, sum to alpha, so by Bonferroni's inequality looking after every block is as honest as looking once.
 */
export const levelAtLook = (alpha: number, look: number): number => alpha / (look * (look + 1));
