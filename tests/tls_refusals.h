/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_refusals.h - settings of TLS that are refused, and the message; files for them. */
#ifndef TLS_REFUSALS_H
#define TLS_REFUSALS_H
#include <stdio.h>
#include "tls_tools.h"

static struct certs *s;
static const struct cert *ca, *client;
static char error[TLS_ERROR_SIZE], expected[TLS_ERROR_SIZE];

static inline void setup(void)
{
  s = certs_new();
  ca = certs_ca(s, "top");
  client = certs_make(s, &(struct cert_spec){.name = "me", .issuer = ca, .purpose = CERT_CLIENT});
}

static inline void teardown(void)
{
  certs_free(s);
}

/* The message begins with `text`, in which %s is `value`; "": there is none. */
static inline void try(struct config *config, const char *text, const char *value)
{
  struct tls_context *context = tls_context_new(config, error, sizeof error);

  ck_assert_uint_eq(ERR_peek_error(), 0);
  ck_assert_msg((context != NULL) == !*text, "%s", error);
  tls_context_unref(context);
  config_clear(config);
  if (!*text)
    return;
  strcpy(expected, text);
  if (strstr(text, "%s"))
    sprintf(strstr(expected, "%s"), "%s%s", value, strstr(text, "%s") + 2);
  ck_assert_msg(strncmp(error, expected, strlen(expected)) == 0, "\"%s\", not \"%s\"", error,
                expected);
}

static inline void check(const char *const *settings, const char *text, const char *value)
{
  struct config config;

  configure(&config, settings);
  try(&config, text, value);
}

static inline void check_one(const char *option, const char *value, const char *text)
{
  check(SETTINGS(option, value), text, value);
}

#endif
