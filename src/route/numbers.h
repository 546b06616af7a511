/* SPDX-License-Identifier: BSD-3-Clause */
/* numbers.h - numbers in commands, read as the server reads them, whatever the locale says. */
#ifndef PMX_ROUTE_NUMBERS_H
#define PMX_ROUTE_NUMBERS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole number: no blank, no plus sign, no leading zero, nothing behind it. */
bool number_whole(const char *text, size_t len, int64_t *ret);
/* Seconds as ms, rounded up: decimal or hexadecimal, with point and exponent. False: not a number,
 * negative, or more than an int64_t of ms. Like the server's, -0.0005 comes out as 0. */
bool number_seconds(const char *text, size_t len, int64_t *ret_ms);

#endif
