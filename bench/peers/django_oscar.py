"""django-oscar: orders cancelled with `Order.set_status`, one transaction, on SQLite. Argument: how many."""

import json
import sys
import time
from decimal import Decimal
from pathlib import Path

import django
from django.conf import settings
from oscar.defaults import *  # noqa: F403 - as oscar's own manual has it

number = int(sys.argv[1])


class NoMigrations:
    """The tables straight from the models: oscar's hundreds of migrations take minutes."""

    def __contains__(self, _app):
        return True

    def __getitem__(self, _app):
        return None


settings.configure(
    **{name: value for name, value in list(globals().items()) if name.startswith("OSCAR_")}
    | {
        "OSCAR_ORDER_STATUS_PIPELINE": {"Pending": ("Cancelled",), "Cancelled": ()},
        "OSCAR_INITIAL_ORDER_STATUS": "Pending",
    },
    SECRET_KEY="bench",  # noqa: S106
    SITE_ID=1,
    MIGRATION_MODULES=NoMigrations(),
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path("oscar.db").absolute())}},
    HAYSTACK_CONNECTIONS={"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.sites",
        "django.contrib.messages",
        "django.contrib.flatpages",
        "oscar.config.Shop",
        *(f"oscar.apps.{name}" for name in (
            "analytics.apps.AnalyticsConfig", "checkout.apps.CheckoutConfig", "address.apps.AddressConfig",
            "shipping.apps.ShippingConfig", "catalogue.apps.CatalogueConfig",
            "catalogue.reviews.apps.CatalogueReviewsConfig", "communication.apps.CommunicationConfig",
            "partner.apps.PartnerConfig", "basket.apps.BasketConfig", "payment.apps.PaymentConfig",
            "offer.apps.OfferConfig", "order.apps.OrderConfig", "customer.apps.CustomerConfig",
            "search.apps.SearchConfig", "voucher.apps.VoucherConfig", "wishlists.apps.WishlistsConfig",
            "dashboard.apps.DashboardConfig", "dashboard.reports.apps.ReportsDashboardConfig",
            "dashboard.users.apps.UsersDashboardConfig", "dashboard.orders.apps.OrdersDashboardConfig",
            "dashboard.catalogue.apps.CatalogueDashboardConfig", "dashboard.offers.apps.OffersDashboardConfig",
            "dashboard.partners.apps.PartnersDashboardConfig", "dashboard.pages.apps.PagesDashboardConfig",
            "dashboard.ranges.apps.RangesDashboardConfig", "dashboard.reviews.apps.ReviewsDashboardConfig",
            "dashboard.vouchers.apps.VouchersDashboardConfig",
            "dashboard.communications.apps.CommunicationsDashboardConfig",
            "dashboard.shipping.apps.ShippingDashboardConfig",
        )),
        "haystack", "treebeard", "sorl.thumbnail", "django_tables2",
    ],
)  # fmt: skip
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402
from oscar.core.loading import get_model  # noqa: E402

call_command("migrate", run_syncdb=True, verbosity=0)
Order = get_model("order", "Order")
Order.objects.bulk_create(
    Order(number=f"{each}", status="Pending", total_incl_tax=Decimal(100), total_excl_tax=Decimal(100), currency="EUR",
          shipping_incl_tax=0, shipping_excl_tax=0, date_placed=timezone.now())
    for each in range(number)
)  # fmt: skip
started, cpu = time.perf_counter(), time.process_time()
with transaction.atomic():
    for order in Order.objects.filter(status="Pending").iterator():
        order.set_status("Cancelled")
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
assert Order.objects.filter(status="Cancelled").count() == number
print(json.dumps({"orders": number, "seconds": seconds, "cpu_seconds": cpu}))
