/**
 * Reports: one self-contained HTML file each, no script and no network.
 *
 * <p>A report is a title and sections; a section is a heading and {@link
 * io.moextend.report.Block}s. Everything a caller hands over is text and is escaped.
 */
@NullMarked
package io.moextend.report;

import org.jspecify.annotations.NullMarked;
