/**
 * Stages as sets of parameter roles; expert distribution, extension plans, expert initialisation.
 */
@NullMarked
package io.moextend.stage;

import org.jspecify.annotations.NullMarked;
