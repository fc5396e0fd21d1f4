"""Put the generated pages among the others when MkDocs builds the site (mkdocs.yml names this file)."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from tools.reference.pages import write_pages


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages. Nothing of them is written into docs/."""
    for path, text in write_pages().items():
        files.append(File.generated(config, path, content=text))
    return files
