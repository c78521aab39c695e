"""Entry point: ``streamlit run dashboard/app.py`` in a project folder, or with ``LF_PROJECT`` set to one."""

from __future__ import annotations

import html
from pathlib import Path

import streamlit as st
from streamlit.commands.page_config import MenuItems

from dashboard import data, privacy, uploads, widgets
from dashboard.loopback import is_loopback
from dashboard.views import channels, clusters, counterfactual, inversions, models, overview, retrain, video
from pipeline.paths import Paths

# With an entry of its own there is a menu at the top right, and in it the choice of a light or a dark theme.
MENU: MenuItems = {"About": "LatentForensics: face videos in, evidence out. Nothing leaves this machine."}


@st.cache_resource(show_spinner=False)
def swept(root: str) -> int:
    """Once for each server: uploads that a killed one left behind go."""
    return uploads.sweep(Paths(Path(root)))


def main() -> None:
    """Draw the chosen page."""
    st.set_page_config(page_title="LatentForensics", page_icon=widgets.favicon(), layout="wide", menu_items=MENU)
    address = st.get_option("server.address")
    if address is None:
        st.error(
            "This dashboard shows faces and was started without an address, open to the whole network. "
            "Start it with `--server.address 127.0.0.1`, or from the repository's folder."
        )
        st.stop()
    if not is_loopback(address):
        st.warning(f"This dashboard can be reached from other machines (server.address {widgets.plain(str(address))}).")
    widgets.style()
    swept(str(data.project().root.resolve()))
    chosen = st.navigation(
        [
            st.Page(overview.page, title="Overview", icon=":material/dashboard:", default=True),
            # The default page lives at "/" alone; whoever types its name gets it too.
            st.Page(overview.page, title="Overview", url_path="overview", visibility="hidden"),
            st.Page(clusters.page, title="Clusters", icon=":material/scatter_plot:", url_path="clusters"),
            st.Page(models.page, title="Models", icon=":material/monitoring:", url_path="models"),
            st.Page(channels.page, title="Channels", icon=":material/tune:", url_path="channels"),
            st.Page(
                counterfactual.page, title="Counterfactual", icon=":material/alt_route:", url_path="counterfactual"
            ),
            st.Page(inversions.page, title="Inversions", icon=":material/compare:", url_path="inversions"),
            st.Page(video.page, title="Video", icon=":material/movie:", url_path="video"),
            st.Page(retrain.page, title="Tags and retrain", icon=":material/label:", url_path="retrain"),
        ]
    )
    with st.sidebar:
        privacy.switch()
        widgets.figure_format()
        st.caption("Project folder")
        # No st.code: its highlighter would take the browser more than a second at every load, on every page.
        st.html(f"<code style='overflow-wrap:anywhere'>{html.escape(str(data.project().root.resolve()))}</code>")
        st.caption("P(fake) lies in [0, 1]; 1 is fake. Blue is real, orange is fake, grey is unknown or noise.")
    chosen.run()


main()
