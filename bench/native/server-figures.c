#include "server-figures.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

long rss_kb(int pid) {
  char path[64], line[256];
  long kb = 0;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *file = pid == 0 ? NULL : fopen(path, "r");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) != NULL && sscanf(line, "VmRSS: %ld", &kb) != 1) continue;
  fclose(file);
  return kb;
}

double cpu_seconds(int pid) {
  char path[64], text[2048];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE *file = pid == 0 ? NULL : fopen(path, "r");
  if (file == NULL) return 0;
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  // The name stands in parentheses and may hold any character; the fields are counted from behind it.
  const char *fields = strrchr(text, ')');
  unsigned long user, kernel;
  const char *format = ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu";
  if (fields == NULL || sscanf(fields, format, &user, &kernel) != 2) return 0;
  return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}
