# SPDX-License-Identifier: BSD-3-Clause
"""poolmux-bench: which way of using connections a workload wants."""
