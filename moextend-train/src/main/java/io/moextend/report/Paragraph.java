package io.moextend.report;

/** Running text. */
public record Paragraph(String text) implements Block {}
