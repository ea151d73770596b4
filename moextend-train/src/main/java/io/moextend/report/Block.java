package io.moextend.report;

/** A piece of a section. */
public sealed interface Block
    permits Paragraph, Callout, KeyFigures, Table, LineChart, BarChart, HeatMap, Gallery, Details {}
