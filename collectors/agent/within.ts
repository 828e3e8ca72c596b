/** What the work comes to, or `late` when it takes longer; the work goes on then. */
export async function within<T, L>(ms: number, work: Promise<T>, late: L): Promise<T | L> {
  const patience = Promise.withResolvers<L>();
  const timer = setTimeout(() => patience.resolve(late), ms);
  return Promise.race([work, patience.promise]).finally(() => clearTimeout(timer));
}
