/** Answers of this test so far that are not as the service's API documents say; `true-answers.ts` sees to them. */
export const untrueAnswers = new Set<string>()
