/** The schedulers of `torch.optim.lr_scheduler`. */
export * from './cyclic-lr.js'
export * from './lr-scheduler.js'
export * from './plateau-lr.js'
