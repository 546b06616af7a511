/* SPDX-License-Identifier: BSD-3-Clause */
/* over.h - what a client may talk over. Shared by fakes, proxies and the tests' ways. */
#ifndef HARNESS_OVER_H
#define HARNESS_OVER_H
#include <stdbool.h>

enum over {
  OVER_TCP,
  OVER_UNIX,
  OVER_TLS,     /* on TCP */
  OVER_TLS_UNIX /* a real server does not listen so */
};

static inline const char *over_name(enum over over)
{
  static const char *const names[] = {"TCP", "a Unix socket", "TLS", "TLS on a Unix socket"};

  return names[over];
}

static inline bool over_unix(enum over over)
{
  return over == OVER_UNIX || over == OVER_TLS_UNIX;
}

static inline bool over_tls(enum over over)
{
  return over == OVER_TLS || over == OVER_TLS_UNIX;
}

#endif
