package io.moextend.cli;

import io.moextend.report.HtmlReport;
import io.moextend.report.Paragraph;
import io.moextend.report.Section;
import java.nio.file.Path;
import java.util.List;

record DemoReport(DemoSettings settings, DemoResults results) {
  void write(Path file) {
    new HtmlReport("demo", "", List.of(Section.of("x", new Paragraph("todo")))).write(file);
  }
}
