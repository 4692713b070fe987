/** Rows in whole tiles of both builds of the product, 5 x 8 and 6 x 8: what a thread works on at a time. */
export const tileRows = 30
/** Rows by which work is parted among threads: finer than that, so that none has much longer to do than another. */
export const sharedRows = 6
export const tileColumns = 8
