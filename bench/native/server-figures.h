// What the kernel says of another process.
#ifndef SERVER_FIGURES_H
#define SERVER_FIGURES_H

// Of process 0: 0.
long rss_kb(int pid);
// Of all of its threads, in user and in kernel mode.
double cpu_seconds(int pid);

#endif
