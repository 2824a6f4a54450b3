/** Stands for your app's own table of users. */
export function passwordCounts(userId: unknown, password: unknown): userId is string {
  return userId === 'ann' && password === 'secret-of-ann'
}
