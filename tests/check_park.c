/* SPDX-License-Identifier: BSD-3-Clause */
/* check_park.c - tests parking in the form that the library has. */
#include "park_tests.h"

int main(void)
{
  return park_tests_run("park");
}
