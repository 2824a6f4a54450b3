-- Has joins and leaves of groups announced from now on, and for so long.
-- asked: groups; forMs
-- answer: 1
watch(ask.groups, ask.forMs)
return 1
