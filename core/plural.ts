/** "1 site", "2 sites"; `many` where that takes more than an s, `figure` where figures are written otherwise. */
export function plural(
  amount: number,
  one: string,
  many = `${one}s`,
  figure: (value: number) => string = String,
): string {
  return `${figure(amount)} ${amount === 1 ? one : many}`;
}
