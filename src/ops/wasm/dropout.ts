/** The word that is the first to keep its element, of all 2³². @internal */
export const droppedBelow = (rate: number): number => Math.min(Math.ceil(rate * 2 ** 32), 2 ** 32 - 1)
