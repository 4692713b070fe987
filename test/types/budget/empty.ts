// What the compiler's own libraries cost, before anything of ours.
export const answer: number = 42
