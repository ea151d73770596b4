/**
 * The launcher: starts the ranks of a run on one or several hosts, shows what they say, names the
 * one that dies, and starts all again. Loads no model and no native library.
 */
@NullMarked
package io.moextend.launch;

import org.jspecify.annotations.NullMarked;
