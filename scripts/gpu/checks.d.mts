export const checks: readonly { name: string; run(device: string): Promise<void> }[]
